// Prices of European call and put options by the Black-Scholes formula, one option per thread.
//
// Exercises the math library: expf, logf, erff and sqrtf.
__device__ float normal_cdf(float x)
{
	return 0.5f * (1.0f + erff(x * 0.70710678f));
}

__global__ void blackscholes(const float *spot, const float *strike, const float *years, float *call,
			     float *put, float rate, float volatility, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i >= n)
		return;

	float spread = volatility * sqrtf(years[i]);
	float d1 = (logf(spot[i] / strike[i]) + (rate + 0.5f * volatility * volatility) * years[i]) / spread;
	float d2 = d1 - spread;
	float discounted = strike[i] * expf(-rate * years[i]);

	call[i] = spot[i] * normal_cdf(d1) - discounted * normal_cdf(d2);
	put[i] = discounted * normal_cdf(-d2) - spot[i] * normal_cdf(-d1);
}
