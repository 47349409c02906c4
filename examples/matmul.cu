// C = A * B for row-major matrices: A is rows x inner, B is inner x columns.
//
// Each block computes one TILE x TILE square of C. It walks along the inner dimension tile by tile: all
// threads load one element of A and of B into shared memory, meet at a barrier, multiply, and meet again
// before the next tile overwrites this one. Edges that do not fill a tile are filled with zeroes.
template <int TILE>
__global__ void matmul(const float *a, const float *b, float *c, int rows, int inner, int columns)
{
	__shared__ float tile_a[TILE][TILE];
	__shared__ float tile_b[TILE][TILE];
	int row = blockIdx.y * TILE + threadIdx.y;
	int column = blockIdx.x * TILE + threadIdx.x;
	float sum = 0.0f;

	for (int base = 0; base < inner; base += TILE) {
		int ka = base + threadIdx.x;
		int kb = base + threadIdx.y;

		tile_a[threadIdx.y][threadIdx.x] = row < rows && ka < inner ? a[row * inner + ka] : 0.0f;
		tile_b[threadIdx.y][threadIdx.x] =
		    kb < inner && column < columns ? b[kb * columns + column] : 0.0f;
		__syncthreads();
		for (int k = 0; k < TILE; k++)
			sum += tile_a[threadIdx.y][k] * tile_b[k][threadIdx.x];
		__syncthreads();
	}
	if (row < rows && column < columns)
		c[row * columns + column] = sum;
}
