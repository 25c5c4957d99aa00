/* What gRPC's services take and answer, for reflection: tools/descriptors makes it of src/api/proto at build time. Read-only. */
#pragma once

#include "base/base.h"

struct descriptor {
    struct str name;  /* "grpc/health/v1/health.proto" */
    struct str bytes; /* a FileDescriptorProto */
    uint32_t needs;   /* bit i: to read it, descriptors[i] is needed; itself, and what it imports however far */
};
extern const struct descriptor descriptors[]; /* imported ones first; at most 32 */
extern const size_t descriptor_count;

struct descriptor_symbol {
    struct str name; /* in full: of a message, enum, service or method */
    uint8_t file;    /* index of its descriptor */
    bool is_service;
};
extern const struct descriptor_symbol descriptor_symbols[]; /* by name */
extern const size_t descriptor_symbol_count;
