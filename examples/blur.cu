// A 5x5 Gaussian blur of a grey picture, one pixel per thread on a two-dimensional grid.
//
// The weights are the outer product of 1 4 6 4 1 with itself and add up to 256, so that the result is exact
// in integers. Beyond the border the nearest pixel inside counts.
__constant__ int weights[5] = {1, 4, 6, 4, 1};

__device__ int clamp(int value, int limit)
{
	return value < 0 ? 0 : value >= limit ? limit - 1 : value;
}

__global__ void blur(const unsigned char *from, unsigned char *to, int width, int height)
{
	int column = blockIdx.x * blockDim.x + threadIdx.x;
	int row = blockIdx.y * blockDim.y + threadIdx.y;

	if (column >= width || row >= height)
		return;

	int sum = 0;

	for (int dy = -2; dy <= 2; dy++)
		for (int dx = -2; dx <= 2; dx++)
			sum += weights[dy + 2] * weights[dx + 2] *
			       from[clamp(row + dy, height) * width + clamp(column + dx, width)];
	to[row * width + column] = (unsigned char)((sum + 128) / 256);
}
