// Orders in which the threads of a kernel take their turns: the emulation can choose them, a GPU
// takes what comes. A kernel whose result depends on the order has a race.
#pragma once

namespace compact::test {

inline constexpr int kThreadOrders = 3;

// 0 ... kThreadOrders - 1, for every launch until the next call.
void set_thread_order(int order);

}  // namespace compact::test
