#include "cuda/test/capability.h"

#include "cuda/emulation/host_runtime.h"

namespace compact::test {

OnCapability::OnCapability(int capability) { emulation::set_machine({.capability = capability}); }
OnCapability::~OnCapability() { emulation::set_machine({}); }

}  // namespace compact::test
