// No exception leaves the shim.
#pragma once

#include "abi.h"

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// A closure of the caller failed.
struct ClosureFailure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void fail(Failure* failure, FailureKind kind, char const* what) noexcept
{
    failure->kind = kind;
    std::snprintf(failure->what, sizeof failure->what, "%s", what);
}

// Runs what may throw. `foreign` is what an exception means that is none of libtorch's: gloo throws its own.
template <typename Act>
void guarded(Failure* failure, FailureKind foreign, Act&& act) noexcept
{
    try {
        std::forward<Act>(act)();
    } catch (ClosureFailure const& error) {
        fail(failure, FAILURE_CLOSURE, error.what());
    } catch (c10::OutOfMemoryError const& error) {
        fail(failure, FAILURE_OUT_OF_MEMORY, error.what_without_backtrace());
    } catch (std::bad_alloc const&) {
        fail(failure, FAILURE_OUT_OF_MEMORY, "no memory");
    } catch (c10::DistError const& error) {
        fail(failure, FAILURE_LOST, error.what_without_backtrace());
    } catch (c10::Error const& error) {
        fail(failure, FAILURE_REFUSED, error.what_without_backtrace());
    } catch (std::exception const& error) {
        fail(failure, foreign, error.what());
    } catch (...) {
        fail(failure, foreign, "an exception without a message");
    }
}

inline at::Tensor const& tensor_of(Tensor const* tensor)
{
    return *reinterpret_cast<at::Tensor const*>(tensor);
}

inline std::vector<at::Tensor> tensors_of(TensorList list)
{
    std::vector<at::Tensor> tensors;
    tensors.reserve(list.n_items);
    for (size_t index = 0; index < list.n_items; ++index) {
        tensors.push_back(tensor_of(list.items[index]));
        TORCH_CHECK_VALUE(tensors.back().defined(), "tensor ", index, " is not defined");
    }
    return tensors;
}

// A tensor that Rust frees as tch frees its own.
inline Tensor* handed_over(at::Tensor tensor)
{
    return reinterpret_cast<Tensor*>(new at::Tensor(std::move(tensor)));
}
