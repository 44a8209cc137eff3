// Kernel maps and convolutions on a CPU, for compiled/__init__.py, which calls the functions at the end through ctypes.
// Plain C++17 without torch's headers: it builds in seconds and fits any release of torch.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <omp.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

// Cache that one core may count on, for rows that are passed over more than once.
constexpr long CACHE_BYTES = 1 << 19;

// Outer products that are added up before their sum goes back to memory.
constexpr long PAIRS_PER_OFFSET = 64;

// Pairs whose part of the gradient stays in the innermost cache while the tiles pass over it.
constexpr long PAIRS_PER_TILE = 192;

template <class T> struct Buffer {
    explicit Buffer(long count) : bytes(static_cast<T *>(std::aligned_alloc(64, (count * sizeof(T) / 64 + 1) * 64))) {
        if (!bytes) throw std::bad_alloc();
    }
    T *data() const { return bytes.get(); }
    struct Free {
        void operator()(void *p) const { std::free(p); }
    };
    std::unique_ptr<T, Free> bytes;
};

constexpr size_t HUGE_PAGE = 1 << 21;

// Asks for huge pages under a large new result: the first touch of small ones would cost as much as writing it.
void want_huge_pages(void *data, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (bytes < 2 * HUGE_PAGE) return;
    const uintptr_t from = (uintptr_t(data) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const uintptr_t to = (uintptr_t(data) + bytes) / HUGE_PAGE * HUGE_PAGE;
    // A system without them goes on with small pages.
    (void)madvise(reinterpret_cast<void *>(from), to - from, MADV_HUGEPAGE);
#else
    (void)data, (void)bytes;
#endif
}

// The pairs of a kernel map, grouped by runs of `block` output rows and, within each run, by offset. No offset leads to
// an output row twice, so there are at most `block` pairs in each group.
struct Blocks {
    long rows_out, offsets, block;
    const int64_t *starts;  // (blocks * offsets + 1): where the pairs of each block and offset begin
    const int32_t *rows_in; // (pairs)
    const int16_t *places;  // (pairs): the output row's place in its block
    const int32_t *order;   // (rows_out): the output row at each place, or null where they are in order
    bool mirrored;          // the weights of offset k are those of offsets - 1 - k

    long blocks() const { return (rows_out + block - 1) / block; }
    long row(long place) const { return order ? order[place] : place; }
    long weights(long offset) const { return mirrored ? offsets - 1 - offset : offset; }
};

} // namespace

#if defined(__x86_64__)
#define NAMESPACE avx512
#define VECTOR_BYTES 64
#define SUMS 24
#define VECTORS 4
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
#include "tiles.inl"
#pragma GCC pop_options
#undef NAMESPACE
#undef VECTOR_BYTES
#undef SUMS
#undef VECTORS

#define NAMESPACE avx2
#define VECTOR_BYTES 32
#define SUMS 12
#define VECTORS 2
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "tiles.inl"
#pragma GCC pop_options
#undef NAMESPACE
#undef VECTOR_BYTES
#undef SUMS
#undef VECTORS
#endif

#define NAMESPACE plain
#define VECTOR_BYTES 16
#define SUMS 8
#define VECTORS 2
#include "tiles.inl"

namespace {

enum Instructions { PLAIN, AVX2, AVX512 };

Instructions best() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq"))
        return AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return AVX2;
#endif
    return PLAIN;
}

Instructions chosen = best();

// Offsets whose keys lie close together: they are found in one walk along the sorted keys.
struct Run {
    std::vector<int64_t> shifts;
    std::vector<long> offsets;
};

constexpr int64_t RUN_GAP = 8;

std::vector<Run> runs_of(const int64_t *shifts, long offsets) {
    std::vector<long> order(offsets);
    for (long k = 0; k < offsets; ++k) order[k] = k;
    std::stable_sort(order.begin(), order.end(), [&](long a, long b) { return shifts[a] < shifts[b]; });
    std::vector<Run> runs;
    for (long k : order) {
        if (runs.empty() || shifts[k] - runs.back().shifts.back() > RUN_GAP) runs.emplace_back();
        runs.back().shifts.push_back(shifts[k]);
        runs.back().offsets.push_back(k);
    }
    return runs;
}

// The pairs of some blocks in a row, as found by one thread.
struct Found {
    std::vector<int32_t> rows_in, counts;
    std::vector<int16_t> places;
};

struct Neighbours {
    std::vector<Found> chunks;
    long pairs = 0;
};

constexpr long BLOCKS_PER_CHUNK = 8;

void find_chunk(const int64_t *keys, const int32_t *rows, long count, const int64_t *queries, long begin, long end,
                const std::vector<Run> &runs, long offsets, long block, Found &found) {
    std::vector<long> at(runs.size());
    for (size_t j = 0; j < runs.size(); ++j)
        at[j] = std::lower_bound(keys, keys + count, queries[begin] + runs[j].shifts[0]) - keys;
    std::vector<int32_t> seen(offsets * block);
    std::vector<int16_t> places(offsets * block);
    std::vector<int32_t> counts(offsets);
    for (long from = begin; from < end; from += block) {
        std::fill(counts.begin(), counts.end(), 0);
        const long to = std::min(from + block, end);
        for (size_t j = 0; j < runs.size(); ++j) {
            const Run &run = runs[j];
            const int64_t low = run.shifts.front(), high = run.shifts.back();
            long p = at[j];
            for (long q = from; q < to; ++q) {
                const int64_t key = queries[q];
                while (p < count && keys[p] < key + low) ++p;
                if (p == count) break;
                if (keys[p] > key + high) continue;
                long t = p;
                for (size_t i = 0; i < run.shifts.size() && t < count; ++i) {
                    const int64_t wanted = key + run.shifts[i];
                    while (t < count && keys[t] < wanted) ++t;
                    if (t < count && keys[t] == wanted) {
                        const long k = run.offsets[i];
                        const long n = k * block + counts[k]++;
                        seen[n] = rows ? rows[t] : int32_t(t);
                        places[n] = int16_t(q - from);
                    }
                }
            }
            at[j] = p;
        }
        for (long k = 0; k < offsets; ++k) {
            const long n = k * block;
            found.rows_in.insert(found.rows_in.end(), &seen[n], &seen[n] + counts[k]);
            found.places.insert(found.places.end(), &places[n], &places[n] + counts[k]);
        }
        found.counts.insert(found.counts.end(), counts.begin(), counts.end());
    }
}

struct Overfull {};

template <class Work> int guarded(Work work) {
    try {
        work();
        return 0;
    } catch (const Overfull &) {
        return 2;
    } catch (const std::exception &) {
        // Else only Buffer and the standard containers throw: no memory, or more than there could be.
        return 1;
    }
}

template <class T>
int convolve(const Blocks &map, const T *features, long in, const T *weights, long out, bool transposed, T *result,
             int threads) {
    want_huge_pages(result, map.rows_out * out * sizeof(T));
    return guarded([&] {
#if defined(__x86_64__)
        if (chosen == AVX512) return avx512::convolve(map, features, in, weights, out, transposed, result, threads);
        if (chosen == AVX2) return avx2::convolve(map, features, in, weights, out, transposed, result, threads);
#endif
        plain::convolve(map, features, in, weights, out, transposed, result, threads);
    });
}

template <class T>
int outer_products(const Blocks &map, const T *features, long in, const T *grad, long out, T *result, int threads) {
    return guarded([&] {
#if defined(__x86_64__)
        if (chosen == AVX512) return avx512::outer_products(map, features, in, grad, out, result, threads);
        if (chosen == AVX2) return avx2::outer_products(map, features, in, grad, out, result, threads);
#endif
        plain::outer_products(map, features, in, grad, out, result, threads);
    });
}

} // namespace

// Functions that return int give 0, 1 where memory ran out, or 2 where an offset leads to an output row twice.
extern "C" {

int sparse_version() { return 3; }

// 0 plain, 1 AVX2, 2 AVX-512. A number below 0 only asks.
int sparse_instructions(int wanted) {
    if (wanted >= 0 && wanted <= int(best())) chosen = Instructions(wanted);
    return chosen;
}

// Finds queries (n), sorted, plus each of shifts (offsets) among keys (count), sorted and distinct.
// rows: the input row of each key, or null. Returns a handle for sparse_take and sparse_drop, or null where memory ran
// out.
void *sparse_find(const int64_t *keys, const int32_t *rows, long count, const int64_t *queries, long n,
                  const int64_t *shifts, long offsets, long block, int threads, int64_t *pairs) {
    std::unique_ptr<Neighbours> made;
    bool whole = true;
    if (guarded([&] {
            made = std::make_unique<Neighbours>();
            const std::vector<Run> runs = runs_of(shifts, offsets);
            const long size = block * BLOCKS_PER_CHUNK, chunks = (n + size - 1) / size;
            made->chunks.resize(chunks);
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(&& : whole)
            for (long i = 0; i < chunks; ++i)
                whole = whole && !guarded([&] {
                    find_chunk(keys, rows, count, queries, i * size, std::min((i + 1) * size, n), runs, offsets, block,
                               made->chunks[i]);
                });
        }) ||
        !whole)
        return nullptr;
    for (const Found &found : made->chunks) made->pairs += long(found.rows_in.size());
    *pairs = made->pairs;
    return made.release();
}

// Moves what sparse_find found to starts (blocks * offsets + 1), rows_in and places (pairs).
void sparse_take(void *handle, int64_t *starts, int32_t *rows_in, int16_t *places) {
    int64_t at = 0;
    for (Found &found : static_cast<Neighbours *>(handle)->chunks) {
        std::copy(found.rows_in.begin(), found.rows_in.end(), rows_in + at);
        std::copy(found.places.begin(), found.places.end(), places + at);
        for (int32_t count : found.counts) {
            *starts++ = at;
            at += count;
        }
        found = Found();
    }
    *starts = at;
}

void sparse_drop(void *handle) { delete static_cast<Neighbours *>(handle); }

// Groups pairs that are sorted by offset, counts (offsets) of each, into blocks; output rows stay in order.
// starts (blocks * offsets + 1), grouped_in and places (pairs) are written.
int sparse_group(const int32_t *rows_in, const int32_t *rows_out, const int64_t *counts, long offsets, long n_out,
                 long block, int threads, int64_t *starts, int32_t *grouped_in, int16_t *places) {
    return guarded([&] {
        const long blocks = (n_out + block - 1) / block;
        std::vector<int64_t> begin(offsets + 1, 0);
        for (long k = 0; k < offsets; ++k) begin[k + 1] = begin[k] + counts[k];
        std::fill(starts, starts + blocks * offsets + 1, 0);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (long k = 0; k < offsets; ++k)
            for (int64_t p = begin[k]; p < begin[k + 1]; ++p) ++starts[rows_out[p] / block * offsets + k + 1];
        for (long i = 0; i < blocks * offsets; ++i) {
            // convolve has room for so many: this keeps it within its memory, though it does not find every such row.
            if (starts[i + 1] > block) throw Overfull();
            starts[i + 1] += starts[i];
        }
        std::vector<int64_t> next(starts, starts + blocks * offsets);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (long k = 0; k < offsets; ++k)
            for (int64_t p = begin[k]; p < begin[k + 1]; ++p) {
                const int64_t to = next[rows_out[p] / block * offsets + k]++;
                grouped_in[to] = rows_in[p];
                places[to] = int16_t(rows_out[p] % block);
            }
    });
}

// The same pairs in blocks of rows that are in order: map's are not. starts, rows_in and places are written as by
// sparse_group.
int sparse_reorder(const Blocks *map, int threads, int64_t *starts, int32_t *rows_in, int16_t *places) {
    return guarded([&] {
        const long offsets = map->offsets, block = map->block, groups = map->blocks() * offsets;
        std::fill(starts, starts + groups + 1, 0);
        const auto each = [&](long k, auto visit) {
            for (long b = 0; b < map->blocks(); ++b) {
                const int64_t *start = map->starts + b * offsets + k;
                for (int64_t p = start[0]; p < start[1]; ++p) visit(p, map->row(b * block + map->places[p]));
            }
        };
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (long k = 0; k < offsets; ++k) each(k, [&](int64_t, long row) { ++starts[row / block * offsets + k + 1]; });
        for (long i = 0; i < groups; ++i) starts[i + 1] += starts[i];
        std::vector<int64_t> next(starts, starts + groups);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (long k = 0; k < offsets; ++k)
            each(k, [&](int64_t p, long row) {
                const int64_t to = next[row / block * offsets + k]++;
                rows_in[to] = map->rows_in[p];
                places[to] = int16_t(row % block);
            });
    });
}

// Sorts keys (count), equal ones in the order in which they come: sorted and order (count) are written.
int sparse_sort(const int64_t *keys, long count, int64_t *sorted, int32_t *order) {
    return guarded([&] {
        constexpr int BITS = 11;
        constexpr uint64_t DIGIT = (1 << BITS) - 1;
        const auto [low, high] = std::minmax_element(keys, keys + count);
        const uint64_t first = count ? uint64_t(*low) : 0, span = count ? uint64_t(*high) - first : 0;
        struct Entry {
            uint64_t key;
            int32_t row;
        };
        Buffer<Entry> one(count), other(count);
        Entry *from = one.data(), *to = other.data();
        for (long i = 0; i < count; ++i) from[i] = {uint64_t(keys[i]) - first, int32_t(i)};
        std::vector<long> next(DIGIT + 1);
        for (int shift = 0; shift < 64 && span >> shift; shift += BITS) {
            std::fill(next.begin(), next.end(), 0);
            for (long i = 0; i < count; ++i) ++next[from[i].key >> shift & DIGIT];
            long at = 0;
            for (long &n : next) at += std::exchange(n, at);
            for (long i = 0; i < count; ++i) to[next[from[i].key >> shift & DIGIT]++] = from[i];
            std::swap(from, to);
        }
        for (long i = 0; i < count; ++i) {
            sorted[i] = int64_t(from[i].key + first);
            order[i] = from[i].row;
        }
    });
}

// The reverse of sparse_group: rows_in and rows_out (pairs), sorted by offset, and counts (offsets) of each.
int sparse_list(const Blocks *map, int32_t *rows_in, int32_t *rows_out, int64_t *counts, int threads) {
    return guarded([&] {
        std::vector<int64_t> next(map->offsets + 1, 0);
        for (long b = 0; b < map->blocks(); ++b)
            for (long k = 0; k < map->offsets; ++k) {
                const int64_t *start = map->starts + b * map->offsets + k;
                next[map->weights(k) + 1] += start[1] - start[0];
            }
        for (long k = 0; k < map->offsets; ++k) {
            counts[k] = next[k + 1];
            next[k + 1] += next[k];
        }
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (long k = 0; k < map->offsets; ++k) {
            int64_t to = next[map->weights(k)];
            for (long b = 0; b < map->blocks(); ++b) {
                const int64_t *start = map->starts + b * map->offsets + k;
                for (int64_t p = start[0]; p < start[1]; ++p, ++to) {
                    rows_in[to] = map->rows_in[p];
                    rows_out[to] = int32_t(map->row(b * map->block + map->places[p]));
                }
            }
        }
    });
}

// result (rows_out, out) = sum over pairs of features (., in)[row_in] @ weights (offsets, in, out)[offset]; with
// `transposed`, weights are (offsets, out, in).
int sparse_convolve_float32(const Blocks *map, const float *features, long in, const float *weights, long out,
                            int transposed, float *result, int threads) {
    return convolve(*map, features, in, weights, out, transposed, result, threads);
}

int sparse_convolve_float64(const Blocks *map, const double *features, long in, const double *weights, long out,
                            int transposed, double *result, int threads) {
    return convolve(*map, features, in, weights, out, transposed, result, threads);
}

// result (offsets, in, out) = sum over pairs of the outer products of features[row_in] and grad[row_out].
int sparse_outer_float32(const Blocks *map, const float *features, long in, const float *grad, long out, float *result,
                         int threads) {
    return outer_products(*map, features, in, grad, out, result, threads);
}

int sparse_outer_float64(const Blocks *map, const double *features, long in, const double *grad, long out,
                         double *result, int threads) {
    return outer_products(*map, features, in, grad, out, result, threads);
}
}
