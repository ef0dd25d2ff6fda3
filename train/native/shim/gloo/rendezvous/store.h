// What ProcessGroupGloo's header derives a class from. The shim never makes an object of it: its virtual table would not be
// that of the gloo in libtorch_cpu.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace gloo::rendezvous {

class Store {
public:
    virtual ~Store();
    virtual void set(std::string const& key, std::vector<char> const& value) = 0;
    virtual std::vector<char> get(std::string const& key) = 0;
    virtual void wait(std::vector<std::string> const& keys) = 0;
    virtual void wait(std::vector<std::string> const& keys, std::chrono::milliseconds const& timeout) = 0;
};

} // namespace gloo::rendezvous
