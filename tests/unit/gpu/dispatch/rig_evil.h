/*
 * A worker that was taken over: it speaks the protocol and lies. It is chosen by the test's process name,
 * which the child reads, since a worker's environment and arguments are the front's.
 */
#ifndef GD_TEST_RIG_EVIL_H
#define GD_TEST_RIG_EVIL_H

enum evil {
	EVIL_NOT,
	/* while it starts */
	EVIL_MUTE,        /* is never ready */
	EVIL_CLOSES,      /* closes its socket before it is ready */
	EVIL_STOPS_EARLY, /* stops itself before it is ready */
	EVIL_READY_NUMBERS,
	EVIL_READY_TEXT,
	EVIL_READY_LIMITS,
	/* then */
	EVIL_CLOSES_LATE,
	EVIL_STOPS,      /* stops itself once it is ready */
	EVIL_DEAF,       /* reads nothing, takes nothing */
	EVIL_NO_ANSWERS, /* reads, and answers no load */
	EVIL_BIG_INFO,   /* a kernel with more parameters than there can be */
	EVIL_WIDE_INFO,  /* a parameter that lies outside the launch block */
	EVIL_INFO_GROWS, /* none in its first life, as many as there can be in later ones */
	EVIL_RANDOM,     /* random bytes over all control memory and the out slab */
	EVIL_TICKETS,    /* completes everything with somebody else's ticket */
	EVIL_TWICE,      /* completes everything three times */
	EVIL_RESULTS,    /* wild codes, texts without end, times of centuries */
	EVIL_CHUNKS,     /* chunks without descriptor, twice, of odd sizes */
	EVIL_SHORT,      /* messages that are too short */
	EVIL_LONG,       /* one that is too long */
	EVIL_EMPTY,      /* an empty one with descriptors */
	EVIL_LAST_WORDS, /* says that it fails, many times, and stays */
	/* an honest worker with a thread that */
	EVIL_NOISE, /* sends answers to what nobody asked, with descriptors */
	EVIL_FLOOD  /* sends as fast as it can */
};

/* From now on workers that this process starts are of this kind. */
void evil_choose(enum evil evil);
/* What the parent `argv[1]` of this worker chose. */
enum evil evil_chosen(int argc, char **argv);
/* The role. Returns the exit status. */
int evil_main(enum evil evil, int argc, char **argv);

#endif
