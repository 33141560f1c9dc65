//! One build for all: the features of what stands on tokio. See `mortise-features-base`.
