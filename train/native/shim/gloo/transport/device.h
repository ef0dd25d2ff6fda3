// ProcessGroupGloo's header holds it by pointer.
#pragma once

namespace gloo::transport {
class Device;
}
