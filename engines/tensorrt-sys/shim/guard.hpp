// No exception leaves the shim, and no null of TensorRT is used.
#pragma once

#include "abi.h"

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>

namespace {

// TensorRT said no to a call.
struct Refusal {
    std::string call;
};

void fail(Failure* failure, FailureKind kind, char const* what) noexcept
{
    failure->kind = kind;
    std::snprintf(failure->what, sizeof failure->what, "%s", what);
}

// Runs what may throw. The deepest call that is known is named.
template <typename Act>
void guarded(Failure* failure, char const* call, Act&& act) noexcept
{
    try {
        std::forward<Act>(act)();
    } catch (Refusal const& refusal) {
        fail(failure, FAILURE_REFUSED, refusal.call.c_str());
    } catch (std::bad_alloc const&) {
        fail(failure, FAILURE_OUT_OF_MEMORY, call);
    } catch (std::exception const& exception) {
        fail(failure, FAILURE_EXCEPTION, call);
        std::snprintf(failure->what, sizeof failure->what, "%s: %s", call, exception.what());
    } catch (...) {
        fail(failure, FAILURE_EXCEPTION, call);
    }
}

void demand(bool accepted, char const* call)
{
    if (!accepted) {
        throw Refusal{call};
    }
}

// Owns nothing yet: the caller does, before anything else can throw.
template <typename Object>
Object* demanded(Object* object, char const* call)
{
    demand(object != nullptr, call);
    return object;
}

} // namespace
