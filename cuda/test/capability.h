// Tests of what some GPUs alone have: the emulation can be any of them, a GPU is what it is.
#pragma once

namespace compact::test {

// Emulated devices have this compute capability, 90 for 9.0, for as long as it lives.
class OnCapability {
  public:
    explicit OnCapability(int capability);
    ~OnCapability();
    OnCapability(const OnCapability&) = delete;
    OnCapability& operator=(const OnCapability&) = delete;
};

}  // namespace compact::test
