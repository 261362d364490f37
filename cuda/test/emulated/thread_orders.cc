#include "cuda/test/thread_orders.h"

#include "cuda/emulation/fibers.h"

namespace compact::test {

void set_thread_order(int order) {
    using emulation::FiberOrder;
    const FiberOrder orders[kThreadOrders] = {FiberOrder::kForward, FiberOrder::kBackward,
                                              FiberOrder::kShuffled};
    emulation::set_fiber_order(orders[order], 7);
}

}  // namespace compact::test
