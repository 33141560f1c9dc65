//! One build for all: the features of what stands on tokio. No code: see `mortise-features-base`.
