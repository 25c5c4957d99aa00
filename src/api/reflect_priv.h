/* gRPC's server reflection, v1 and v1alpha, which are one in all but their names: what this server's calls take and answer, for clients
 * without descriptors of their own (grpcurl).
 *
 *   ServerReflectionRequest ─▶ reflect_answer ─▶ ServerReflectionResponse: services, descriptors, or an error; one for one, in order
 *
 * Limits: 32 streams at once, 1,000 messages a stream, 4 KiB a message, 75 s without a whole one (http_server_options.idle_ns).
 * Threads: the loop's. Source: grpc/reflection/v1/reflection.proto; gRPC's server-reflection.md. */
#pragma once

#include "base/base.h"

enum { REFLECT_MESSAGE_MAX = 4 * 1024, REFLECT_ANSWER_MAX = 24 * 1024 };

/* Appends at most REFLECT_ANSWER_MAX bytes. False: the request is no protobuf, or not of that message. */
bool reflect_answer(struct str request, struct buf *out);
