// A parser that parses nothing.

extern "C" void* createNvOnnxParser_INTERNAL(void*, void*, int)
{
    return nullptr;
}
