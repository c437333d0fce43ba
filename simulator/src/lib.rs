//! What a program does, and when: functional core and timing to report and trace.
