//! The command line of qcc, qsim and qdse: the only place that prints.
