//! One build for all: the features of what the engine is made of. See `mortise-features-base`.
