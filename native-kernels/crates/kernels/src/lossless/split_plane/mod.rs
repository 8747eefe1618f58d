//! split-plane v1: each dtype is cut into byte planes, each plane is coded on its own.
