// Declarations that ProcessGroupGloo's header needs. It holds gloo's objects by pointer only, and libtorch_cpu has them.
#pragma once

#include <chrono>

namespace gloo {

class Context {
public:
    void setTimeout(std::chrono::milliseconds timeout);
};

namespace transport {
class UnboundBuffer;
}

} // namespace gloo
