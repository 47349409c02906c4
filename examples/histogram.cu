// How often each of the 256 byte values occurs.
//
// Each block counts into its own 256 counters in shared memory and adds them to the result once, at the end:
// shared atomics are cheap, and global ones happen 256 times per block and not once per byte. The stride lets
// a grid of any size cover input of any length.
extern "C" __global__ void histogram(const unsigned char *bytes, unsigned n, unsigned *bins)
{
	__shared__ unsigned counts[256];

	for (unsigned i = threadIdx.x; i < 256; i += blockDim.x)
		counts[i] = 0;
	__syncthreads();
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(&counts[bytes[i]], 1u);
	__syncthreads();
	for (unsigned i = threadIdx.x; i < 256; i += blockDim.x)
		if (counts[i] != 0)
			atomicAdd(&bins[i], counts[i]);
}
