//! One build for all: the features of what speaks HTTP. See `mortise-features-base`.
