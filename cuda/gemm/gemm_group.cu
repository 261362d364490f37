// Products of one A with several B in one launch: small ones fill a GPU together that none of them
// fills alone. Tiles, parts of the inner dimension and order of summation are those of each product
// alone, and so are the bits.
#include "cuda/gemm/gemm_launch.cuh"

namespace compact {
namespace {

struct Member {
    const CudaGemm* product;
    void* workspace;
    int64_t splits;

    float* partials() const { return static_cast<float*>(workspace); }
};

struct Members {
    Member all[CP_MAX_GROUP];
    int32_t count = 0;

    void add(const Member& member) { all[count++] = member; }
    const CudaGemm& first() const { return *all[0].product; }
    const Member* begin() const { return all; }
    const Member* end() const { return all + count; }
};

template <class Epilogue>
constexpr bool kIsStore = false;
template <class C>
constexpr bool kIsStore<StoreEpilogue<C>> = true;
template <class Epilogue>
constexpr bool kIsUpdate = false;
template <class W, bool kStochastic>
constexpr bool kIsUpdate<UpdateEpilogue<W, kStochastic>> = true;

template <class Epilogue, class A, class EpilogueOf>
cudaError_t launch_with(CpDevice& device, const A& a, const Members& members,
                        const EpilogueOf& epilogue_of) {
    using B = StoredOperand<false, true>;
    return with_tile<A, B>(device, [&](auto tile) {
        using Tile = decltype(tile);
        LaunchGroup<TensorProduct<B, Epilogue>> group;
        for (const Member& member : members) {
            add_product<Tile>(group, *member.product, member.splits, stored<B>(member.product->b),
                              epilogue_of(member));
        }
        return launch_products<Tile>(device, a, members.first().m, members.first().k, group);
    });
}

template <bool kTransposeA, class Epilogue, class EpilogueOf>
cudaError_t launch_warpgroups(CpDevice& device, const Members& members,
                              const EpilogueOf& epilogue_of) {
    LaunchGroup<WarpgroupProduct<Epilogue>> group;
    for (const Member& member : members) {
        const cudaError_t status = add_warpgroup_product<false>(device, group, *member.product,
                                                                member.splits, epilogue_of(member));
        if (status != cudaSuccess) return status;
    }
    const CudaGemm& p = members.first();
    return launch_warpgroup_products<kTransposeA, false>(device, p.a, p.m, p.k, group);
}

// Updates multiply P or a panel of it; what is stored, a matrix either way it is stored.
template <class Epilogue, class EpilogueOf>
cudaError_t launch(CpDevice& device, const Members& members, const EpilogueOf& epilogue_of) {
    const CudaGemmOperand& a = members.first().a;
    if (is_for_warpgroups(device, members.first())) {
        if constexpr (!kIsUpdate<Epilogue>) {
            if (a.transposed)
                return launch_warpgroups<true, Epilogue>(device, members, epilogue_of);
        }
        return launch_warpgroups<false, Epilogue>(device, members, epilogue_of);
    }
    if constexpr (!kIsStore<Epilogue>) {
        if (a.phat != nullptr) {
            const auto phat = generated<GeneratedOperand<true>>(a);
            return launch_with<Epilogue>(device, phat, members, epilogue_of);
        }
    }
    if constexpr (!kIsUpdate<Epilogue>) {
        if (a.transposed) {
            const auto columns = stored<StoredOperand<false, true>>(a);
            return launch_with<Epilogue>(device, columns, members, epilogue_of);
        }
    }
    const auto rows = stored<StoredOperand<true, true>>(a);
    return launch_with<Epilogue>(device, rows, members, epilogue_of);
}

// Products whose inner dimension is whole, then those that are cut, as run_gemm() does one.
template <class EpilogueOf>
cudaError_t run_products(CpDevice& device, const GemmGroup& group, const EpilogueOf& epilogue_of) {
    using Epilogue = decltype(epilogue_of(Member{}));
    Members whole, cut;
    for (int32_t i = 0; i < group.count; ++i) {
        const CudaGemm& p = group.products[i];
        const int64_t splits = gemm_splits(p.m, p.n, p.k);
        (splits == 1 ? whole : cut).add({&p, group.workspaces[i], splits});
    }
    if (whole.count > 0) {
        const cudaError_t status = launch<Epilogue>(device, whole, epilogue_of);
        if (status != cudaSuccess) return status;
    }
    if (cut.count == 0) return cudaSuccess;
    const cudaError_t status =
        launch<PartialEpilogue>(device, cut, [](const Member& member) -> PartialEpilogue {
            return {member.partials(), member.product->m, member.product->n};
        });
    if (status != cudaSuccess) return status;
    LaunchGroup<SplitSums<Epilogue>> sums;
    for (const Member& member : cut) {
        add_sums(sums, *member.product, member.splits, member.partials(), epilogue_of(member));
    }
    return launch_sums(device, cut.first().m, sums);
}

template <class C>
cudaError_t store_products(CpDevice& device, const GemmGroup& group) {
    const cudaError_t status = run_products(device, group, [](const Member& member) {
        return store_epilogue<C>(*member.product, member.workspace);
    });
    if (status != cudaSuccess) return status;
    LaunchGroup<SquareSums> squares;
    for (int32_t i = 0; i < group.count; ++i) {
        const CudaGemm& p = group.products[i];
        if (p.squares != nullptr) squares.add(squares_of_warps(device, p, group.workspaces[i]), 1);
    }
    return squares.count == 0 ? cudaSuccess : add_square_sums(device, squares);
}

template <class W, bool kStochastic>
cudaError_t update_products(CpDevice& device, const GemmGroup& group) {
    return run_products(device, group, [](const Member& member) {
        return update_epilogue<W, kStochastic>(*member.product);
    });
}

cudaError_t run_together(CpDevice& device, const GemmGroup& group) {
    const CudaGemm& p = group.products[0];
    if (p.update == nullptr) {
        return p.c_dtype == CP_F32 ? store_products<float>(device, group)
                                   : store_products<Bf16>(device, group);
    }
    if (p.c_dtype == CP_F32) return update_products<float, false>(device, group);
    return p.update->stochastic_rounding ? update_products<Bf16, true>(device, group)
                                         : update_products<Bf16, false>(device, group);
}

bool same(const CudaGemmOperand& a, const CudaGemmOperand& b) {
    return a.data == b.data && a.dtype == b.dtype && a.stride == b.stride &&
           a.transposed == b.transposed && a.phat == b.phat;
}

// Whether two products differ in nothing but B, its columns and what is done with the sums.
bool fit(const CudaGemm& p, const CudaGemm& q) {
    const bool same_end = p.c_dtype == q.c_dtype && (p.update == nullptr) == (q.update == nullptr);
    return p.m == q.m && p.k == q.k && same(p.a, q.a) && same_end &&
           (p.update == nullptr || p.update->stochastic_rounding == q.update->stochastic_rounding);
}

// Whether the kernels of this file are those that each of the products would have alone.
bool have_kernels(const CpDevice& device, const GemmGroup& group) {
    const CudaGemm& first = group.products[0];
    if (device.blas != nullptr && first.update == nullptr) return false;
    if (first.a.dtype != CP_BF16 || (first.a.phat == nullptr && !a_has_whole_chunks(first)))
        return false;
    int64_t tiles = 0;
    for (int32_t i = 0; i < group.count; ++i) {
        const CudaGemm& p = group.products[i];
        if (!fit(first, p) || p.b.dtype != CP_BF16 || p.b.phat != nullptr || p.b.transposed ||
            !b_has_whole_chunks(p) ||
            is_for_warpgroups(device, p) != is_for_warpgroups(device, first)) {
            return false;
        }
        tiles += ceil_div(p.m, NarrowTile::kM) * ceil_div(p.n, NarrowTile::kN);
    }
    return tiles < int64_t{1} << 31;  // blocks of a grid
}

}  // namespace

CpStatus gemm_group(CpDevice& device, const char* op, const GemmGroup& group, CpError* error) {
    if (group.count > 1 && have_kernels(device, group)) {
        const cudaError_t status = run_together(device, group);
        return status == cudaSuccess ? CP_OK : cuda_failure(device, status, op, "gemm", error);
    }
    for (int32_t i = 0; i < group.count; ++i) {
        if (gemm(device, op, group.products[i], group.workspaces[i], error) != CP_OK) {
            return CP_FAILED;
        }
    }
    return CP_OK;
}

}  // namespace compact
