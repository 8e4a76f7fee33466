/* One run of a body in a fresh child, free-running or traced. */
#ifndef AICC_RUN_H
#define AICC_RUN_H

#include "protocol.h"

/* Serves OP_RUN: NULL and the outcome in `reply`, or what went wrong. */
const char *run_serve(struct cursor *request, struct buffer *reply);

#endif
