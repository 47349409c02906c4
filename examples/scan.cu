// Exclusive prefix sum: out[i] = in[0] + ... + in[i - 1]. Two kernels in one source.
//
// scan_blocks sums within each block of blockDim.x values (a power of two) and writes the block's total; the
// totals are scanned by a second launch of the same kernel, and add_totals adds each block's share to its
// values. Within a block the work-efficient scheme of Blelloch ("Prefix Sums and Their Applications", 1990)
// goes up and down a tree of partial sums in shared memory, with a barrier at each level.
extern "C" __global__ void scan_blocks(const unsigned *in, unsigned *out, unsigned *totals, int n)
{
	__shared__ unsigned sums[1024];
	int lane = threadIdx.x;
	int size = blockDim.x;
	int i = blockIdx.x * size + lane;

	sums[lane] = i < n ? in[i] : 0;
	for (int stride = 1; stride < size; stride *= 2) {
		int right = (lane + 1) * 2 * stride - 1;

		__syncthreads();
		if (right < size)
			sums[right] += sums[right - stride];
	}
	__syncthreads();
	if (lane == 0) {
		totals[blockIdx.x] = sums[size - 1];
		sums[size - 1] = 0;
	}
	for (int stride = size / 2; stride > 0; stride /= 2) {
		int right = (lane + 1) * 2 * stride - 1;

		__syncthreads();
		if (right < size) {
			unsigned left = sums[right - stride];

			sums[right - stride] = sums[right];
			sums[right] += left;
		}
	}
	__syncthreads();
	if (i < n)
		out[i] = sums[lane];
}

extern "C" __global__ void add_totals(unsigned *out, const unsigned *before, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		out[i] += before[blockIdx.x];
}
