// The enumerators that the headers have, by name. `enumerators.h` is written by the build script.
#pragma once

#include "abi.h"
#include "enumerators.h"

#include <NvInfer.h>
#include <NvOnnxParser.h>

namespace {

// The first entry has no name: a list may be empty, an array may not.
#define EGOM2P_NAMED(type, enumerator) Named{#enumerator, static_cast<int32_t>(type::enumerator)},
#define EGOM2P_LIST(variable, list)                                                                                    \
    constexpr Named variable##_items[] = {Named{nullptr, 0}, list};                                                    \
    constexpr NamedList variable{variable##_items + 1, sizeof(variable##_items) / sizeof(Named) - 1};

EGOM2P_LIST(builder_flags, EGOM2P_BUILDER_FLAGS)
EGOM2P_LIST(compute_capabilities, EGOM2P_COMPUTE_CAPABILITIES)
EGOM2P_LIST(hardware_levels, EGOM2P_HARDWARE_LEVELS)
EGOM2P_LIST(element_types, EGOM2P_ELEMENT_TYPES)
EGOM2P_LIST(layer_types, EGOM2P_LAYER_TYPES)
EGOM2P_LIST(parser_codes, EGOM2P_PARSER_CODES)

#undef EGOM2P_LIST
#undef EGOM2P_NAMED

} // namespace
