//! What a network computes on the host: the integer reference, and float through a library.
