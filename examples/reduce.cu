// The sum of x, and how many of its values lie above a threshold.
//
// Every warp first adds up its 32 values by shuffles, without any memory; the warps of a block meet in shared
// memory, and one thread per block adds the block's share to the result atomically. Counting needs no
// shuffles: a vote tells which lanes are above, and the number of bits set is the warp's count.
//
// Blocks finish in any order and float addition is not associative, so the last bits of the sum may differ
// from run to run; the count never does.
__device__ float sum_of_warp(float value)
{
	for (int offset = 16; offset > 0; offset /= 2)
		value += __shfl_down_sync(0xffffffffu, value, offset);
	return value;
}

__global__ void reduce(const float *x, int n, float threshold, float *sum, unsigned *above)
{
	__shared__ float sums[32];
	int lane = threadIdx.x % 32;
	int warp = threadIdx.x / 32;
	int warps = blockDim.x / 32;
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	float value = i < n ? x[i] : 0.0f;
	unsigned votes = __ballot_sync(0xffffffffu, i < n && value > threshold);

	value = sum_of_warp(value);
	if (lane == 0) {
		sums[warp] = value;
		atomicAdd(above, (unsigned)__popc(votes));
	}
	__syncthreads();
	if (warp == 0) {
		value = sum_of_warp(lane < warps ? sums[lane] : 0.0f);
		if (lane == 0)
			atomicAdd(sum, value);
	}
}
