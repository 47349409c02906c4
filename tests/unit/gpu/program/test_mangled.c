#include "common.h"

#include "gpu/program/mangled.h"

static void describe(const struct gd_mangled *mangled, char *out, size_t capacity)
{
	size_t used = (size_t)snprintf(out, capacity, "%s|%s|", mangled->base, mangled->expression);
	if (!mangled->has_params)
		used += (size_t)snprintf(out + used, capacity - used, "?");
	for (uint32_t i = 0; i < mangled->count; i++) {
		const struct gd_mangled_param *param = &mangled->params[i];
		const char *type = param->type == GD_TYPE_NONE ? "class" : gd_type_text(param->type);
		const char *element = param->element == GD_TYPE_NONE ? "class" : gd_type_text(param->element);
		if (param->type == GD_TYPE_POINTER)
			used += (size_t)snprintf(out + used, capacity - used, "%s%s* ",
						 param->is_const ? "const " : "", element);
		else
			used += (size_t)snprintf(out + used, capacity - used, "%s ", type);
		assert_true(used < capacity);
	}
}

/* Names that NVRTC 13.0 made. */
static void names_tell_scope_arguments_and_parameters(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    {"_Z1kv", "k|k|"},
	    {"_Z5saxpyfPKfPfi", "saxpy|saxpy|f32 const f32* f32* i32 "},
	    {"_Z4manycahstijlmxyfdbw",
	     "many|many|i8 i8 u8 i16 u16 i32 u32 i64 u64 i64 u64 f32 f64 bool i32 "},
	    {"_Z1kPvPKv", "k|k|bytes* const bytes* "},
	    {"_Z1kRiRKf", "k|k|i32* const f32* "},
	    {"_Z1kPVKfPVi", "k|k|const f32* i32* "},
	    {"_Z1kPPf", "k|k|class* "},
	    {"_ZN2ns5plainENS_1SEPS0_PKS0_1E1F", "plain|ns::plain|class class* const class* class class "},
	    {"_ZN2ns2tkIfLi3EEEvPT_PKS1_i", "tk|ns::tk<float,3>|f32* const f32* i32 "},
	    {"_ZN2ns2tkINS_1SELi3EEEvPT_PKS2_i", "tk|ns::tk<ns::S,3>|class* const class* i32 "},
	    {"_Z2vaIJiPfPKdEEvDpT_", "va|va<int,float*,const double*>|i32 f32* const f64* "},
	    {"_Z2vaIJEEvDpT_", "va|va<>|"},
	    {"_Z3litILb1ELc97ELln5ELj7EEvv", "lit|lit<true,(char)97,(long)-5,(unsigned int)7>|"},
	    {"_Z2avILi3EEvv", "av|av<3>|"},
	    {"_Z2qkI1QILin1EEEvT_PS0_ILi2EE", "qk|qk<Q<-1>>|class class* "},
	    {"_Z2ekIL1E1EEvv", "ek|ek<(E)1>|"},
	    {"_Z1k6__halfP13__nv_bfloat16", "k|k|f16 bf16* "},
	    {"_ZN47_GLOBAL__N__00000000_9_kernel_cu_643dc239_250992anEPi", "an|an|i32* "},
	    {"_ZN2ns41_GLOBAL__N__00000000_9_kernel_cu_f9bac5a44anonEPi", "anon|ns::anon|i32* "},
	    {"_ZL2stPi", "st|st|i32* "},
	    /* not read further than the name */
	    {"_Z2ttI3BoxfEvPT_IT0_E", "tt|tt<Box,float>|?"},
	    {"_Z1kPFviE", "k|k|?"},
	    {"_Z1kPA4_i", "k|k|?"},
	    {"_Z1kM1Pi", "k|k|?"},
	    {"_Z1kn", "k|k|?"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct gd_mangled mangled;
		char found[900];
		if (!gd_mangled_read(rows[i][0], &mangled))
			fail_msg("%s", rows[i][0]);
		describe(&mangled, found, sizeof found);
		assert_string_equal(found, rows[i][1]);
	}
}

static void other_names_are_not_read(void **state)
{
	(void)state;
	static const char *const rows[] = {
	    "",       "k",      "_Z",    "_Z9k",      "_Z0",
	    "_ZN",    "_ZNE",   "_ZN1k", "_ZZ1kvE1l", "_ZTV1k",
	    "_Z1kI",  "_Z1kIi", "_ZS_",  "_ZN1aIE",   "_Z99999999999999999999k",
	    "_Z1kILi"};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct gd_mangled mangled;
		if (gd_mangled_read(rows[i], &mangled))
			fail_msg("%s", rows[i]);
	}
}

static void hostile_names_are_read_safely(void **state)
{
	(void)state;
	static const char alphabet[] = "_ZNPKRSTIJELvifdDp0123kaVr";
	static struct gd_mangled mangled;
	uint64_t seed = 88172645463325252ull; /* xorshift64, Marsaglia 2003 */
	for (int round = 0; round < 100000; round++) {
		char name[48] = "_Z1k";
		for (size_t i = 4; i + 1 < sizeof name; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			name[i] = alphabet[seed % (sizeof alphabet - 1)];
		}
		gd_mangled_read(name, &mangled);
	}
	static char deep[60000];
	memset(deep, 'P', sizeof deep - 1);
	memcpy(deep, "_Z1k", 4);
	assert_true(gd_mangled_read(deep, &mangled));
	assert_false(mangled.has_params);
	memset(deep + 4, 'i', sizeof deep - 5);
	assert_true(gd_mangled_read(deep, &mangled));
	assert_false(mangled.has_params);
	memset(deep + 4, 'I', sizeof deep - 5);
	assert_false(gd_mangled_read(deep, &mangled));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_tell_scope_arguments_and_parameters),
	    cmocka_unit_test(other_names_are_not_read),
	    cmocka_unit_test(hostile_names_are_read_safely),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
