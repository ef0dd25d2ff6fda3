// One shim: compiled once per ABI, with the namespaces of TensorRT renamed and EGOM2P_TABLE as its only export.
#include "abi.h"
#include "build.hpp"
#include "context.hpp"
#include "engine.hpp"
#include "names.hpp"
#include "network.hpp"

extern "C" Table const* EGOM2P_TABLE()
{
    static Table const table{
        {NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR, NV_TENSORRT_PATCH},
        builder_flags,
        compute_capabilities,
        hardware_levels,
        element_types,
        layer_types,
        parser_codes,
        parse,
        visit_network,
        visit_layers,
        build,
        free_network,
        free_bytes,
        load,
        visit_engine,
        kernel_cache,
        free_engine,
        create_context,
        prepare,
        enqueue,
        is_capturable,
        free_context,
    };
    return &table;
}
