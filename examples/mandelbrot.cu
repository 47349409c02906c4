// A picture of the Mandelbrot set, one pixel per thread, in double precision.
//
// Neighbouring threads leave the loop after different numbers of steps (divergence). A pixel's shade follows
// the number of steps until z leaves the circle of radius 2; points that never leave are black.
extern "C" __global__ void mandelbrot(unsigned char *pixels, int width, int height, double center_x,
				      double center_y, double pixel_size, int steps)
{
	int column = blockIdx.x * blockDim.x + threadIdx.x;
	int row = blockIdx.y * blockDim.y + threadIdx.y;

	if (column >= width || row >= height)
		return;

	double cx = center_x + (column - width / 2) * pixel_size;
	double cy = center_y + (row - height / 2) * pixel_size;
	double x = 0.0, y = 0.0;
	int step = 0;

	while (step < steps && x * x + y * y <= 4.0) {
		double next = x * x - y * y + cx;

		y = 2.0 * x * y + cy;
		x = next;
		step++;
	}
	pixels[row * width + column] = step == steps ? 0 : (unsigned char)(255 - step * 255 / steps);
}
