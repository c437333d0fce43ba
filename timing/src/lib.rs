//! How long a program takes: engines, queues, memories, stall buckets.
