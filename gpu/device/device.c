#include "gpu/device/device.h"

const struct gd_device_ops *gd_device_ops_of(enum gd_device_kind kind)
{
	switch (kind) {
	case GD_DEVICE_CUDA:
		return &gd_device_cuda_ops;
	case GD_DEVICE_REFERENCE:
		return &gd_device_reference_ops;
	case GD_DEVICE_ECHO:
		break;
	}
	return &gd_device_echo_ops;
}
