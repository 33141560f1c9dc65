//! One build for all: the features of what reads components. See `mortise-features-base`.
