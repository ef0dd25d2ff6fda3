#include "group.hpp"
#include "guard.hpp"

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <cstdlib>

namespace {

// c10d logs what it throws, with a stack trace. Whoever wants that says so with the variable that libtorch has for it.
void log_only_on_request()
{
    if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
        FLAGS_caffe2_log_level = c10::GLOG_FATAL;
    }
}

} // namespace

Store* egom2p_torch_store(char const* host, uint16_t port, bool is_server, int64_t timeout_ms, Failure* failure)
{
    Store* opened = nullptr;
    guarded(failure, FAILURE_LOST, [&] {
        log_only_on_request();
        c10d::TCPStoreOptions options;
        options.port = port;
        options.isServer = is_server;
        // Whoever makes a group waits for all of its ranks anyway, and a port that the system picks must be told first.
        options.waitWorkers = false;
        options.timeout = std::chrono::milliseconds(timeout_ms);
        auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
        auto const open_port = store->getPort();
        opened = new Store{std::move(store), open_port};
    });
    return opened;
}

Store* egom2p_torch_prefix_store(Store const* store, char const* prefix, Failure* failure)
{
    Store* opened = nullptr;
    guarded(failure, FAILURE_LOST, [&] {
        opened = new Store{c10::make_intrusive<c10d::PrefixStore>(prefix, store->store), store->port};
    });
    return opened;
}

uint16_t egom2p_torch_store_port(Store const* store)
{
    return store->port;
}

void egom2p_torch_free_store(Store* store)
{
    Failure ignored{};
    guarded(&ignored, FAILURE_LOST, [&] { delete store; });
}
