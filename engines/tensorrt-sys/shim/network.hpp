// Parsing an ONNX file, and what the network has.
#pragma once

#include "abi.h"
#include "guard.hpp"
#include "relay.hpp"

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <memory>

namespace {

// Members are freed from the last to the first: the parser owns weights of the network, the builder both.
struct ParsedNetwork {
    LeasedRelay relay;
    std::unique_ptr<nvinfer1::IBuilder> builder;
    std::unique_ptr<nvinfer1::INetworkDefinition> network;
    std::unique_ptr<nvonnxparser::IParser> parser;

    explicit ParsedNetwork(Log const& log)
        : relay{log}
    {
    }
};

ParsedNetwork* parsed(Network* handle) noexcept
{
    return reinterpret_cast<ParsedNetwork*>(handle);
}

Tensor tensor_of(nvinfer1::ITensor const& tensor) noexcept
{
    nvinfer1::Dims const dims = tensor.getDimensions();
    Tensor out{};
    out.name = tensor.getName();
    out.element_type = static_cast<int32_t>(tensor.getType());
    out.n_dims = dims.nbDims <= EGOM2P_MAX_DIMS ? dims.nbDims : EGOM2P_MAX_DIMS;
    for (int32_t axis = 0; axis < out.n_dims; ++axis) {
        out.dims[axis] = dims.d[axis];
        out.dim_names[axis] = tensor.getDimensionName(axis);
    }
    return out;
}

void report_issues(nvonnxparser::IParser const& parser, ParserVisitor const& visitor)
{
    for (int32_t index = 0; index < parser.getNbErrors(); ++index) {
        nvonnxparser::IParserError const* const error = parser.getError(index);
        if (error == nullptr) {
            continue;
        }
        ParserIssue issue{};
        issue.node = error->nodeName();
        issue.op_type = error->nodeOperator();
        issue.file = error->file();
        issue.function = error->func();
        issue.text = error->desc();
        issue.line = error->line();
        issue.code = static_cast<int32_t>(error->code());
        visitor.issue(visitor.user, &issue);
    }
}

Network* parse(Entries const* entries, Log const* log, char const* path, ParserVisitor const* visitor, Failure* failure)
{
    Network* out = nullptr;
    guarded(failure, "parseFromFile", [&] {
        auto const create_builder = reinterpret_cast<void* (*)(void*, int32_t)>(entries->builder);
        auto const create_parser = reinterpret_cast<void* (*)(void*, void*, int32_t)>(entries->parser);
        auto handle = std::make_unique<ParsedNetwork>(*log);
        nvinfer1::ILogger* const logger = handle->relay.get();

        void* const builder = demanded(create_builder(logger, NV_TENSORRT_VERSION), "createInferBuilder");
        handle->builder.reset(static_cast<nvinfer1::IBuilder*>(builder));
        auto const strongly_typed = static_cast<uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
        handle->network.reset(demanded(handle->builder->createNetworkV2(1U << strongly_typed), "createNetworkV2"));
        void* const parser = demanded(
            create_parser(handle->network.get(), logger, NV_ONNX_PARSER_VERSION), "createNvOnnxParser");
        handle->parser.reset(static_cast<nvonnxparser::IParser*>(parser));

        auto const verbosity = static_cast<int32_t>(nvinfer1::ILogger::Severity::kWARNING);
        if (!handle->parser->parseFromFile(path, verbosity)) {
            report_issues(*handle->parser, *visitor);
            fail(failure, FAILURE_PARSER, "parseFromFile");
            return;
        }
        out = reinterpret_cast<Network*>(handle.release());
    });
    return out;
}

void visit_network(Network* handle, NetworkVisitor const* visitor, Failure* failure)
{
    guarded(failure, "getInput", [&] {
        nvinfer1::INetworkDefinition const& network = *parsed(handle)->network;
        for (int32_t index = 0; index < network.getNbInputs(); ++index) {
            Tensor const tensor = tensor_of(*demanded(network.getInput(index), "getInput"));
            visitor->input(visitor->user, &tensor);
        }
        for (int32_t index = 0; index < network.getNbOutputs(); ++index) {
            Tensor const tensor = tensor_of(*demanded(network.getOutput(index), "getOutput"));
            visitor->output(visitor->user, &tensor);
        }
    });
}

void visit_layers(Network* handle, LayerVisitor const* visitor, Failure* failure)
{
    guarded(failure, "getLayer", [&] {
        nvinfer1::INetworkDefinition const& network = *parsed(handle)->network;
        for (int32_t index = 0; index < network.getNbLayers(); ++index) {
            nvinfer1::ILayer const& layer = *demanded(network.getLayer(index), "getLayer");
            Layer out{};
            out.name = layer.getName();
            out.metadata = layer.getMetadata();
            out.kind = static_cast<int32_t>(layer.getType());
            out.n_outputs = layer.getNbOutputs();
            visitor->layer(visitor->user, &out);
            for (int32_t output = 0; output < out.n_outputs; ++output) {
                // A layer may leave an optional output out.
                if (nvinfer1::ITensor const* const tensor = layer.getOutput(output)) {
                    Tensor const described = tensor_of(*tensor);
                    visitor->output(visitor->user, &described);
                }
            }
        }
    });
}

void free_network(Network* handle)
{
    Failure failure{};
    guarded(&failure, "free_network", [&] { delete parsed(handle); });
}

} // namespace
