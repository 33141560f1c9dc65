//! One build for all: the features of what the conformance kit is made of. See `mortise-features-base`.
