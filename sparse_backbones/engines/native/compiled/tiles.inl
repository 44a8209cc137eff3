// Register tiles and the loops around them, written once with GCC's vector types. kernels.cpp includes this file once per
// instruction set, each time with another NAMESPACE and another VECTOR_BYTES.

namespace {
namespace NAMESPACE {

template <class T> struct Vector;
template <> struct Vector<float> { typedef float type __attribute__((vector_size(VECTOR_BYTES))); };
template <> struct Vector<double> { typedef double type __attribute__((vector_size(VECTOR_BYTES))); };

template <class T> constexpr long LANES = VECTOR_BYTES / sizeof(T);
// Rows of sums that fit in the registers beside so many vectors of weights.
constexpr int rows_for(int vectors) { return std::min(8, SUMS / vectors); }

template <class T> inline typename Vector<T>::type load(const T *from) {
    typename Vector<T>::type value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T> inline void store(T *to, typename Vector<T>::type value) { std::memcpy(to, &value, sizeof value); }

// The first `width` of V * LANES numbers; the others are 0 and are not read.
template <class T, int V, bool FULL>
inline void load_row(typename Vector<T>::type (&into)[V], const T *from, long width) {
    if constexpr (FULL) {
        for (int v = 0; v < V; ++v) into[v] = load(from + v * LANES<T>);
    } else {
        T row[V * LANES<T>] = {};
        std::memcpy(row, from, width * sizeof(T));
        for (int v = 0; v < V; ++v) into[v] = load(row + v * LANES<T>);
    }
}

template <class T, int V, bool FULL>
inline void store_row(T *to, const typename Vector<T>::type (&from)[V], long width) {
    if constexpr (FULL) {
        for (int v = 0; v < V; ++v) store(to + v * LANES<T>, from[v]);
    } else {
        T row[V * LANES<T>];
        for (int v = 0; v < V; ++v) store(row + v * LANES<T>, from[v]);
        std::memcpy(to, row, width * sizeof(T));
    }
}

// out[r][0..width) += in[r] (channels) @ panel (channels, V * LANES), for ROWS rows.
template <class T, int ROWS, int V, bool FULL>
void multiply_add(const T *const *in, T *const *out, const T *panel, long channels, long column, long width) {
    typename Vector<T>::type sums[ROWS][V], weights[V];
    const T *source[ROWS];
    for (int r = 0; r < ROWS; ++r) {
        source[r] = in[r];
        load_row<T, V, FULL>(sums[r], out[r] + column, width);
    }
    for (long c = 0; c < channels; ++c) {
        for (int v = 0; v < V; ++v) weights[v] = load(panel + (c * V + v) * LANES<T>);
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < V; ++v) sums[r][v] += source[r][c] * weights[v];
    }
    for (int r = 0; r < ROWS; ++r) store_row<T, V, FULL>(out[r] + column, sums[r], width);
}

// into[r * stride + (0..width)] += sum over pairs of in[pair][first + r] * grad[pair][0..width), for ROWS rows.
// grad: (pairs, V * LANES).
template <class T, int ROWS, int V, bool FULL>
void outer_add(const T *const *in, const T *grad, long pairs, long first, T *into, long stride, long width) {
    typename Vector<T>::type sums[ROWS][V], reached[V];
    for (int r = 0; r < ROWS; ++r) load_row<T, V, FULL>(sums[r], into + r * stride, width);
    for (long p = 0; p < pairs; ++p) {
        const T *seen = in[p] + first;
        for (int v = 0; v < V; ++v) reached[v] = load(grad + (p * V + v) * LANES<T>);
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < V; ++v) sums[r][v] += seen[r] * reached[v];
    }
    for (int r = 0; r < ROWS; ++r) store_row<T, V, FULL>(into + r * stride, sums[r], width);
}

template <class T> using MultiplyAdd = void (*)(const T *const *, T *const *, const T *, long, long, long);
template <class T> using OuterAdd = void (*)(const T *const *, const T *, long, long, T *, long, long);

// The tile for each number of rows from 1 on.
template <class T> using MultiplyAdds = std::array<MultiplyAdd<T>, 8>;
template <class T> using OuterAdds = std::array<OuterAdd<T>, 8>;
template <class T, int V, bool FULL, int... R>
constexpr MultiplyAdds<T> multiply_adds(std::integer_sequence<int, R...>) {
    return {multiply_add<T, R + 1, V, FULL>...};
}
template <class T, int V, bool FULL, int... R>
constexpr OuterAdds<T> outer_adds(std::integer_sequence<int, R...>) {
    return {outer_add<T, R + 1, V, FULL>...};
}

using Vectors = std::make_integer_sequence<int, VECTORS>;

// A run of columns that one tile covers.
struct Panel {
    long column, width;
    int vectors;
    bool full;
};

template <class T> std::vector<Panel> panels_of(long columns) {
    const long vectors = (columns + LANES<T> - 1) / LANES<T>, count = (vectors + VECTORS - 1) / VECTORS;
    std::vector<Panel> panels;
    for (long i = 0; i < count; ++i) {
        const long from = i * vectors / count, to = (i + 1) * vectors / count, column = from * LANES<T>;
        const long width = std::min(to * LANES<T>, columns) - column;
        panels.push_back({column, width, int(to - from), width == (to - from) * LANES<T>});
    }
    return panels;
}

template <class T, int... V>
const MultiplyAdd<T> *tiles_for(const Panel &panel, std::integer_sequence<int, V...>) {
    static constexpr std::array<MultiplyAdds<T>, 2 * sizeof...(V)> tiles = {
        multiply_adds<T, V + 1, false>(std::make_integer_sequence<int, rows_for(V + 1)>{})...,
        multiply_adds<T, V + 1, true>(std::make_integer_sequence<int, rows_for(V + 1)>{})...};
    return tiles[panel.vectors - 1 + (panel.full ? VECTORS : 0)].data();
}

template <class T, int... V>
const OuterAdd<T> *outer_tiles_for(const Panel &panel, std::integer_sequence<int, V...>) {
    static constexpr std::array<OuterAdds<T>, 2 * sizeof...(V)> tiles = {
        outer_adds<T, V + 1, false>(std::make_integer_sequence<int, rows_for(V + 1)>{})...,
        outer_adds<T, V + 1, true>(std::make_integer_sequence<int, rows_for(V + 1)>{})...};
    return tiles[panel.vectors - 1 + (panel.full ? VECTORS : 0)].data();
}

// Weights (offsets, in, out), or (offsets, out, in) if `transposed`, in panels: for each offset and panel, (in, vectors).
template <class T>
void pack(const T *weights, long offsets, long in, long out, bool transposed, const std::vector<Panel> &panels,
          long padded, T *packed, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long k = 0; k < offsets; ++k) {
        const T *from = weights + k * in * out;
        T *to = packed + k * in * padded;
        for (const Panel &panel : panels) {
            long lanes = panel.vectors * LANES<T>;
            for (long c = 0; c < in; ++c, to += lanes) {
                if (transposed)
                    for (long j = 0; j < panel.width; ++j) to[j] = from[(panel.column + j) * in + c];
                else
                    std::memcpy(to, from + c * out + panel.column, panel.width * sizeof(T));
                std::fill(to + panel.width, to + lanes, T(0));
            }
        }
    }
}

template <class T>
void convolve(const Blocks &map, const T *features, long in, const T *weights, long out, bool transposed, T *result,
              int threads) {
    const std::vector<Panel> panels = panels_of<T>(out);
    long padded = 0;
    for (const Panel &panel : panels) padded += panel.vectors * LANES<T>;
    Buffer<T> packed(map.offsets * in * padded);
    pack(weights, map.offsets, in, out, transposed, panels, padded, packed.data(), threads);

    // With few blocks, the panels of a block go to different threads. The sums are the same either way.
    const long split = map.blocks() < 8 * threads ? long(panels.size()) : std::min<long>(panels.size(), 1);
    // All memory is taken out here: nothing may throw among the threads.
    const Buffer<const T *> all_sources(threads * map.block);
    const Buffer<T *> all_targets(threads * map.block);
#pragma omp parallel num_threads(threads)
    {
        const T **sources = all_sources.data() + omp_get_thread_num() * map.block;
        T **targets = all_targets.data() + omp_get_thread_num() * map.block;
#pragma omp for schedule(dynamic)
        for (long task = 0; task < map.blocks() * split; ++task) {
            const long b = task / split, part = task % split;
            const size_t first = part * panels.size() / split, last = (part + 1) * panels.size() / split;
            const long begin = b * map.block, end = std::min(begin + map.block, map.rows_out);
            const long low = panels[first].column, high = panels[last - 1].column + panels[last - 1].width;
            for (long place = begin; place < end; ++place)
                std::fill(result + map.row(place) * out + low, result + map.row(place) * out + high, T(0));
            for (long k = 0; k < map.offsets; ++k) {
                const int64_t *start = map.starts + b * map.offsets + k;
                const long count = start[1] - start[0];
                if (!count) continue;
                for (long p = 0; p < count; ++p) {
                    sources[p] = features + map.rows_in[start[0] + p] * in;
                    targets[p] = result + map.row(begin + map.places[start[0] + p]) * out;
                }
                if (k + 1 < map.offsets)
                    for (long p = start[1]; p < start[2]; ++p)
                        for (long c = 0; c < in; c += 64 / long(sizeof(T)))
                            __builtin_prefetch(features + map.rows_in[p] * in + c, 0, 2);
                const long kernel = map.weights(k);
                const T *panel_weights = packed.data() + kernel * in * padded;
                for (size_t i = 0; i < first; ++i) panel_weights += in * panels[i].vectors * LANES<T>;
                for (size_t i = first; i < last; ++i) {
                    const Panel &panel = panels[i];
                    const MultiplyAdd<T> *tiles = tiles_for<T>(panel, Vectors{});
                    const long tile = rows_for(panel.vectors);
                    for (long p = 0; p < count; p += tile) {
                        const long rows = std::min(tile, count - p);
                        tiles[rows - 1](&sources[p], &targets[p], panel_weights, in, panel.column, panel.width);
                    }
                    panel_weights += in * panel.vectors * LANES<T>;
                }
            }
        }
    }
}

// How the sum of outer products is cut into tasks. It depends on sizes alone, so the sums are the same for any number of threads.
struct Cut {
    long parts, groups, step;
};

template <class T> Cut cut_of(const Blocks &map, long in, long out) {
    const long rows = std::max(map.rows_out, 1L), weights = std::max(map.offsets * in * out, 1L);
    // Blocks whose rows stay in the cache while all offsets pass over them, but not so few that the sums are loaded and
    // stored for a handful of pairs.
    const long pairs = map.starts[map.blocks() * map.offsets];
    const long wanted = std::max(CACHE_BYTES / std::max(map.block * (in + out) * long(sizeof(T)), 1L),
                                 PAIRS_PER_OFFSET * map.offsets * map.blocks() / std::max(pairs, 1L));
    const long step = std::clamp(wanted, 1L, std::max(map.blocks(), 1L));
    const long chunks = std::max(1L, (map.blocks() + step - 1) / step);
    const long parts = std::clamp(rows * (in + out) / (4 * weights), 1L, std::min(16L, chunks));
    return {parts, parts >= 8 ? 1 : std::min(map.offsets, (15 + parts) / parts), step};
}

// matrix (in, out) += sum over pairs of the outer products of sources[pair] (in) and reached[pair] (out).
// strip: room for the columns of one panel, which all rows of the matrix then pass over.
template <class T>
void add_outer_products(const T *const *sources, const T *const *reached, long pairs, long in, long out,
                        const std::vector<Panel> &panels, T *strip, T *matrix) {
    for (const Panel &panel : panels) {
        const long lanes = panel.vectors * LANES<T>;
        for (long p = 0; p < pairs; ++p) {
            std::memcpy(strip + p * lanes, reached[p] + panel.column, panel.width * sizeof(T));
            std::fill(strip + p * lanes + panel.width, strip + (p + 1) * lanes, T(0));
        }
        const OuterAdd<T> *tiles = outer_tiles_for<T>(panel, Vectors{});
        const long tile = rows_for(panel.vectors);
        for (long c = 0; c < in; c += tile) {
            const long rows = std::min(tile, in - c);
            tiles[rows - 1](sources, strip, pairs, c, matrix + c * out + panel.column, out, panel.width);
        }
    }
}

template <class T>
void outer_products(const Blocks &map, const T *features, long in, const T *grad, long out, T *result, int threads) {
    const std::vector<Panel> panels = panels_of<T>(out);
    const Cut cut = cut_of<T>(map, in, out);
    const long size = map.offsets * in * out;
    std::fill(result, result + size, T(0));
    Buffer<T> more((cut.parts - 1) * size);
    std::fill(more.data(), more.data() + (cut.parts - 1) * size, T(0));
    const long room = map.block * cut.step, strip_size = PAIRS_PER_TILE * VECTORS * LANES<T>;
    const Buffer<const T *> all_sources(threads * room), all_reached(threads * room);
    const Buffer<T> strips(threads * strip_size);
#pragma omp parallel num_threads(threads)
    {
        const T **sources = all_sources.data() + omp_get_thread_num() * room;
        const T **reached = all_reached.data() + omp_get_thread_num() * room;
        T *strip = strips.data() + omp_get_thread_num() * strip_size;
#pragma omp for schedule(dynamic)
        for (long task = 0; task < cut.parts * cut.groups; ++task) {
            const long part = task / cut.groups, group = task % cut.groups;
            const long first = part * map.blocks() / cut.parts, last = (part + 1) * map.blocks() / cut.parts;
            const long low = group * map.offsets / cut.groups, high = (group + 1) * map.offsets / cut.groups;
            T *sums = part ? more.data() + (part - 1) * size : result;
            for (long from = first; from < last; from += cut.step) {
                const long to = std::min(from + cut.step, last);
                for (long k = low; k < high; ++k) {
                    long count = 0;
                    for (long b = from; b < to; ++b) {
                        const int64_t *start = map.starts + b * map.offsets + k;
                        for (long p = start[0]; p < start[1]; ++p, ++count) {
                            sources[count] = features + map.rows_in[p] * in;
                            reached[count] = grad + map.row(b * map.block + map.places[p]) * out;
                        }
                    }
                    if (!count) continue;
                    T *matrix = sums + map.weights(k) * in * out;
                    for (long p = 0; p < count; p += PAIRS_PER_TILE)
                        add_outer_products(&sources[p], &reached[p], std::min(PAIRS_PER_TILE, count - p), in, out, panels,
                                           strip, matrix);
                }
            }
        }
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long i = 0; i < size; ++i)
        for (long part = 1; part < cut.parts; ++part) result[i] += more.data()[(part - 1) * size + i];
}

} // namespace NAMESPACE
} // namespace
