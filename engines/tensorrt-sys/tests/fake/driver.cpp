// The fake driver of egom2p-device, with what TensorRT's side needs of a driver.
#include "../../../device/tests/cuda/fake.cpp"

extern "C" {

int cuDeviceTotalMem_v2(size_t* n_bytes, int)
{
    *n_bytes = total_bytes();
    return SUCCESS;
}

int cuLaunchHostFunc(Stream* stream, void (*function)(void*), void* data)
{
    CALL;
    stream->add([=] { function(data); });
    return SUCCESS;
}

int cuStreamIsCapturing(Stream* stream, int* status)
{
    CALL;
    *status = stream->recording ? 1 : 0;
    return SUCCESS;
}

// The ordinal of the device that is current in this thread, or -1.
int fake_current()
{
    return current ? current - 10 : -1;
}

// Whether so many bytes are memory of the device.
int fake_holds(uintptr_t address, size_t n_bytes)
{
    std::lock_guard<std::recursive_mutex> guard(everything);
    return holds(device_memory, address, n_bytes) ? 1 : 0;
}

}
