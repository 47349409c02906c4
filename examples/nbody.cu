// One time step of n bodies that attract each other, one body per thread.
//
// Positions are float4 (x, y, z and the mass in w), velocities float4 too (w unused). The softening keeps
// close pairs from flying apart and spares the i == j test: a body's pull on itself is 0 * something finite.
__global__ void nbody(const float4 *from, float4 *to, float4 *velocity, float dt, float softening, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i >= n)
		return;

	float4 self = from[i];
	float4 v = velocity[i];
	float ax = 0.0f, ay = 0.0f, az = 0.0f;

	for (int j = 0; j < n; j++) {
		float4 other = from[j];
		float dx = other.x - self.x, dy = other.y - self.y, dz = other.z - self.z;
		float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + softening * softening);
		float pull = other.w * inverse * inverse * inverse;

		ax += pull * dx;
		ay += pull * dy;
		az += pull * dz;
	}
	v.x += ax * dt;
	v.y += ay * dt;
	v.z += az * dt;
	velocity[i] = v;
	to[i] = make_float4(self.x + v.x * dt, self.y + v.y * dt, self.z + v.z * dt, self.w);
}
