// A machine for one test; the one after it is whole again.
#pragma once

#include "cuda/emulation/host_runtime.h"

namespace compact::test {

class OnMachine {
  public:
    explicit OnMachine(const emulation::Machine& machine) { emulation::set_machine(machine); }
    ~OnMachine() { emulation::set_machine({}); }
    OnMachine(const OnMachine&) = delete;
    OnMachine& operator=(const OnMachine&) = delete;
};

}  // namespace compact::test
