#include "cuda/test/capability.h"

namespace compact::test {

OnCapability::OnCapability(int) {}
OnCapability::~OnCapability() {}

}  // namespace compact::test
