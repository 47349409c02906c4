#include "server/orphans.h"

#include "gpu/base/clock.h"
#include "server/log.h"

#include <sys/wait.h>

enum { CHILDREN_MAX = 64, GRACE_MS = 1000 };

static bool is_engines(struct gd_engine *engine, int32_t pid)
{
	int32_t pids[CHILDREN_MAX];
	uint32_t count = gd_engine_children(engine, pids, CHILDREN_MAX);
	for (uint32_t i = 0; i < count && i < CHILDREN_MAX; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

void gd_orphans_look(struct gd_orphans *orphans, struct gd_engine *engine)
{
	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid) {
			*orphans = (struct gd_orphans){0};
			return;
		}
		orphans->pending = true;
		if (info.si_pid != orphans->suspect) {
			orphans->suspect = info.si_pid;
			orphans->seen_ns = gd_now_ns();
			return;
		}
		if (gd_now_ns() - orphans->seen_ns < GRACE_MS * GD_NS_PER_MS ||
		    is_engines(engine, info.si_pid))
			return;
		waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
		gd_log(GD_LOG_DEBUG, "reaped an orphan", gd_log_number("pid", orphans->suspect));
		orphans->suspect = 0;
	}
}
