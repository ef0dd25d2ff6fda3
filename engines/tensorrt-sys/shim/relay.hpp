// TensorRT's log. A library keeps the first logger that it is given for messages of its own, for longer than any
// builder, so loggers are never freed: they are detached and used again.
#pragma once

#include "abi.h"

#include <NvInferRuntime.h>

#include <memory>
#include <mutex>
#include <vector>

namespace {

class Relay final : public nvinfer1::ILogger {
public:
    void attach(Log const& log)
    {
        std::lock_guard<std::mutex> const lock{m_mutex};
        m_log = log;
    }

    void detach() noexcept
    {
        std::lock_guard<std::mutex> const lock{m_mutex};
        m_log = Log{};
    }

    void log(Severity severity, char const* text) noexcept override
    {
        std::lock_guard<std::mutex> const lock{m_mutex};
        if (m_log.write != nullptr) {
            m_log.write(m_log.user, static_cast<int32_t>(severity), text);
        }
    }

private:
    std::mutex m_mutex;
    Log m_log{};
};

class RelayPool {
public:
    static RelayPool& instance()
    {
        static auto* pool = new RelayPool;
        return *pool;
    }

    Relay* take(Log const& log)
    {
        std::lock_guard<std::mutex> const lock{m_mutex};
        if (m_idle.empty()) {
            m_all.push_back(std::make_unique<Relay>());
            m_idle.reserve(m_all.size());
            m_idle.push_back(m_all.back().get());
        }
        Relay* const relay = m_idle.back();
        m_idle.pop_back();
        relay->attach(log);
        return relay;
    }

    void give_back(Relay* relay) noexcept
    {
        relay->detach();
        std::lock_guard<std::mutex> const lock{m_mutex};
        m_idle.push_back(relay);
    }

private:
    std::mutex m_mutex;
    std::vector<std::unique_ptr<Relay>> m_all;
    std::vector<Relay*> m_idle;
};

// A logger for as long as something may log to the caller.
class LeasedRelay {
public:
    explicit LeasedRelay(Log const& log)
        : m_relay{RelayPool::instance().take(log)}
    {
    }

    ~LeasedRelay()
    {
        RelayPool::instance().give_back(m_relay);
    }

    LeasedRelay(LeasedRelay const&) = delete;
    LeasedRelay& operator=(LeasedRelay const&) = delete;

    Relay* get() const noexcept
    {
        return m_relay;
    }

private:
    Relay* m_relay;
};

} // namespace
