#include "support.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

struct stub *stub_reset(void)
{
	static stub_get_fn *get;
	if (!get) {
		setenv(GD_CUDA_LIBRARY_ENV, GD_STUB_PATH, 1);
		void *library = dlopen(GD_STUB_PATH, RTLD_NOW);
		assert_non_null(library);
		void *symbol = dlsym(library, STUB_GET_SYMBOL);
		memcpy(&get, &symbol, sizeof get);
		assert_non_null(get);
	}
	static const int attributes[][2] = {
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 232448},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
	    {GD_CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 2},
	    {GD_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
	    {GD_CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
	    {GD_CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
	    {GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
	    {GD_CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
	    {GD_CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
	    {GD_CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 1},
	    {GD_CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED, 1},
	    {GD_CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
	};
	struct stub *stub = get();
	*stub = (struct stub){
	    .fail_call = -1, .elapsed_ms = 0.002f, .occupancy = 4, .max_threads = 1024, .param_bytes = 4096};
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
		stub->attributes[attributes[i][0]] = attributes[i][1];
	return stub;
}

int bench_set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	assert_non_null(bench);
	bench->stub = stub_reset();
	bench->in = aligned_alloc(4096, SLAB_BYTES);
	bench->out = aligned_alloc(4096, SLAB_BYTES);
	assert_non_null(bench->in);
	assert_non_null(bench->out);
	for (uint32_t i = 0; i < SLAB_BYTES; i++)
		bench->in[i] = (uint8_t)((i * 2654435761u) >> 24);
	memset(bench->out, 0xEE, SLAB_BYTES);
	const struct gd_device_ops *ops = &gd_device_cuda_ops;
	assert_true(ops->open(0, &bench->device, &bench->info, &bench->error));
	assert_true(ops->slabs(bench->device, bench->in, SLAB_BYTES, bench->out, SLAB_BYTES, &bench->error));
	assert_true(ops->stream_new(bench->device, &bench->stream, &bench->error));
	*state = bench;
	return 0;
}

int bench_tear_down(void **state)
{
	struct bench *bench = *state;
	gd_device_cuda_ops.stream_free(bench->stream);
	gd_device_cuda_ops.close(bench->device);
	for (int i = 0; i < STUB_KIND_COUNT; i++)
		if (bench->stub->live[i])
			fail_msg("%d objects of kind %d leaked", bench->stub->live[i], i);
	free(bench->in);
	free(bench->out);
	free(bench);
	return 0;
}

size_t cubin_build(uint8_t *bytes, const char *variable)
{
	/* Offset 1: .names, 8: .strings, 17: .symbols, 26: .nv.global */
	static const char names[] = "\0.names\0.strings\0.symbols\0.nv.global";
	char strings[64] = "";
	memset(bytes, 0, CUBIN_BYTES);
	if (variable)
		strncpy(strings + 1, variable, sizeof strings - 2);
	Elf64_Ehdr header = {.e_machine = 190,
			     .e_ehsize = sizeof header,
			     .e_shentsize = sizeof(Elf64_Shdr),
			     .e_shoff = 512,
			     .e_shnum = 5,
			     .e_shstrndx = 1};
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	Elf64_Sym symbols[2] = {
	    {0}, {.st_name = 1, .st_size = 4, .st_shndx = variable ? 4 : 0, .st_info = STT_OBJECT}};
	Elf64_Shdr sections[5] = {
	    {0},
	    {.sh_name = 1, .sh_type = SHT_STRTAB, .sh_offset = 64, .sh_size = sizeof names},
	    {.sh_name = 8, .sh_type = SHT_STRTAB, .sh_offset = 128, .sh_size = sizeof strings},
	    {.sh_name = 17, .sh_type = SHT_SYMTAB, .sh_offset = 192, .sh_size = sizeof symbols, .sh_link = 2},
	    {.sh_name = 26, .sh_type = SHT_NOBITS, .sh_offset = 256, .sh_size = variable ? 4 : 0},
	};
	memcpy(bytes, &header, sizeof header);
	memcpy(bytes + 64, names, sizeof names);
	memcpy(bytes + 128, strings, sizeof strings);
	memcpy(bytes + 192, symbols, sizeof symbols);
	memcpy(bytes + 512, sections, sizeof sections);
	return 512 + sizeof sections;
}

bool bench_load(struct bench *bench, const char *entry, bool has_variables, struct gd_module **out_module)
{
	_Alignas(8) uint8_t cubin[CUBIN_BYTES];
	struct gd_image image = {
	    .kind = GD_IMAGE_CUBIN, .data = cubin, .entry = entry, .occupancy_threads = 128};
	image.bytes = cubin_build(cubin, has_variables ? "counter" : NULL);
	return gd_device_cuda_ops.module_load(bench->device, &image, out_module, &bench->kernel,
					      &bench->error);
}

struct gd_buffer_arg buffer_in(uint32_t param, uint64_t offset, uint64_t bytes)
{
	return (struct gd_buffer_arg){.param_offset = param,
				      .access = GD_ACCESS_READ,
				      .space = GD_SPACE_IN,
				      .source = GD_SPACE_IN,
				      .offset = offset,
				      .source_offset = offset,
				      .bytes = bytes};
}

struct gd_buffer_arg buffer_out(uint32_t param, uint64_t offset, uint64_t bytes)
{
	return (struct gd_buffer_arg){.param_offset = param,
				      .access = GD_ACCESS_WRITE,
				      .space = GD_SPACE_OUT,
				      .source = GD_SPACE_NULL,
				      .offset = offset,
				      .bytes = bytes};
}

struct gd_launch launch_copy(struct gd_module *module, const struct gd_buffer_arg *buffers, uint32_t count,
			     uint32_t bytes)
{
	static uint8_t params[20];
	memset(params, 0x77, sizeof params);
	memcpy(params + 16, &bytes, sizeof bytes);
	return (struct gd_launch){.module = module,
				  .grid = {1, 1, 1},
				  .block = {32, 1, 1},
				  .iterations = 1,
				  .params = params,
				  .param_bytes = sizeof params,
				  .buffers = buffers,
				  .buffer_count = count};
}

enum gd_poll bench_finish(struct bench *bench)
{
	enum gd_poll poll = GD_POLL_PENDING;
	for (int i = 0; poll == GD_POLL_PENDING && i < 10000; i++)
		poll = gd_device_cuda_ops.poll(bench->stream, &bench->timing, &bench->error);
	return poll;
}
