//! What `lathe inspect --statistics` says of a tensor.
