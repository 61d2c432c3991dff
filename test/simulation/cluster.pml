/*
 * A model of the cluster's protocol, for spin: one bucket, one user with one client, two nodes, one observer. Shows that
 * the protocol keeps its promises under a failover that loses acknowledged operations, an outage of the engine, lost
 * messages, and nodes that are stopped, killed and continued, in every order.
 *
 * Each part of the protocol can be left out, and then one of the promises must break:
 *   -DNO_IDS     the chain has numbers only, no ids of operations
 *   -DNO_EPOCH   no epoch after a fork
 *   -DNO_ADDS    what is gone is written without waiting until every node has written who is here
 *   -DNO_RENEW   a node that continues after a stop writes before it renews
 *
 * Time is not modelled: `now` only grows. What the settings guarantee by time is written as a condition: a grace is
 * longer than a trip to the engine while the engine answers, and a node is buried only if it does not run.
 */
#define NOWHERE 2
#define OTHER (1 - i)
/* How often each fault happens, at most. */
#ifndef FAILOVERS
#define FAILOVERS 0
#endif
#ifndef OUTAGES
#define OUTAGES 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef OTHER_OPERATIONS
#define OTHER_OPERATIONS 0
#endif

typedef Bucket {
  bool part[4];   /* by incarnation: node i is incarnation i, and i + 2 after it was buried */
  bool fence[4];
  byte number;    /* of the last operation of the bucket, and its id */
  byte last;
  byte clock;
  byte v;         /* of the user's record */
  byte epoch;
}
Bucket bucket;    /* what the engine holds */
Bucket copy;      /* what the replica holds, which may be older */

byte now = 1;
byte ids = 0;
bool isEngineUp = true;
byte failovers = 0, outages = 0, stops = 0, otherOperations = 0, moves = 0;
bool isDead[4], wasFenced[4];

/* A node. */
bool isUp[2], isKilled[2], hasSession[2], isBehind[2], isRecovering[2], mustRenew[2];
byte inc[2];
byte owed[2];               /* its acknowledged operation that it has not heard yet; 0: none. One at a time is enough. */
bool wrote[2];              /* what it believes its part to be */
byte heardServer[2];         /* the server that it read from last; only then does it look */
byte heardNumber[2], heardLast[2], heardClock[2], heardV[2], heardEpoch[2];
bool heardOnline[2];
chan push[2] = [2] of { byte, byte, byte, byte, byte, bool }; /* number, id, id before, clock, v, online */

/* The truth, and the observer that is connected to one node and knows an entry. */
byte client = 0;
byte observer = 0, seenAt = 0, seenV = 0;
bool seenOnline = false;
bool hasLeft = false;       /* the user may be offline from here on: it left, or its node stopped with it */

byte i, x;
bool wasShown, isShown;

inline say(node) { /* a node tells the observer what it holds, if that is newer */
  if
  :: (observer == node && heardV[node] > seenV) ->
       assert(!(seenOnline && !heardOnline[node] && !hasLeft)); /* nobody is falsely offline */
       seenOnline = heardOnline[node]; seenV = heardV[node]; seenAt = heardClock[node]
  :: else
  fi
}

inline shown() { isShown = bucket.part[0] || bucket.part[1] || bucket.part[2] || bucket.part[3] }

inline publish(node, before) {
  if
  :: (isUp[node] && len(push[node]) < 2) ->
       push[node]!bucket.number, bucket.last, before, bucket.clock, bucket.v, isShown
  :: else /* lost */
  fi
}

/* An operation: sets or clears one part of the user's record, by compare-and-set. */
inline operate(node, incarnation, isPresent) {
  assert(!(isPresent && wasFenced[incarnation])); /* nobody writes for the buried */
  shown(); wasShown = isShown;
  bucket.part[incarnation] = isPresent;
  shown();
  x = bucket.last;
  now++; ids++;
  bucket.number++; bucket.last = ids; bucket.clock = now;
  if :: wasShown != isShown -> bucket.v = now :: else fi;
  owed[node] = ids;
  publish(0, x); publish(1, x)
}

/* Reads the bucket and goes on from there. A fork: what was heard is not part of the history any more. */
inline catchUp(node) {
  do :: nempty(push[node]) -> push[node]?_, _, _, _, _, _ :: empty(push[node]) -> break od;
  if
  :: (bucket.clock < heardClock[node] || heardServer[node] != failovers) ->
       heardServer[node] = failovers;
#ifndef NO_EPOCH
       if
       :: bucket.epoch <= heardClock[node] ->
            now++; ids++; bucket.epoch = now; bucket.clock = now; bucket.number++; bucket.last = ids
       :: else
       fi;
#endif
       isRecovering[node] = true
  :: else
  fi;
  heardNumber[node] = bucket.number; heardLast[node] = bucket.last; heardClock[node] = bucket.clock;
  heardEpoch[node] = bucket.epoch;
  shown(); heardOnline[node] = isShown;
  heardV[node] = (bucket.v > bucket.epoch -> bucket.v : bucket.epoch);
  wrote[node] = bucket.part[inc[node]];
  isBehind[node] = false; owed[node] = 0;
  if :: !isRecovering[node] -> say(node) :: else fi
}

/* Whether the chain of a node goes on. */
#ifdef NO_IDS
#define FOLLOWS(node) (number == heardNumber[node] + 1)
#define IS_SURE(node) (heardNumber[node] == bucket.number && !owed[node])
#else
#define FOLLOWS(node) (number == heardNumber[node] + 1 && before == heardLast[node])
#define IS_SURE(node) (heardNumber[node] == bucket.number && heardLast[node] == bucket.last && !owed[node])
#endif

inline hear(node) {
  push[node]?number, id, before, clock, v, online;
  if :: id == owed[node] -> owed[node] = 0 :: else fi;
  if
  :: FOLLOWS(node) ->
       heardNumber[node] = number; heardLast[node] = id; heardClock[node] = clock;
       heardV[node] = (v > heardEpoch[node] -> v : heardEpoch[node]); heardOnline[node] = online;
       if :: !isRecovering[node] -> say(node) :: else fi
  :: else -> isBehind[node] = true
  fi
}

#ifdef NO_ADDS
#define MAY_REMOVE(node) true
#else
/* The other node, if it runs, has written who is here. */
#define ADDS_MISSING(node) (isUp[node] && hasSession[node] && !IS_WRITTEN(node))
#define MAY_REMOVE(node) (!ADDS_MISSING(1 - node))
#endif

#define IS_WRITTEN(n) (bucket.part[inc[n]] && !isDead[inc[n]])
#define IS_AT_REST(n) (empty(push[n]) && !isBehind[n] && !isRecovering[n] && IS_SURE(n) && !mustRenew[n] && hasSession[n] == wrote[n] && hasSession[n] == (client == n))
#define IS_BURIED (isDead[0] && bucket.fence[0] && !bucket.part[0])
#define HAS_RESTED(n) (((isUp[n] && IS_AT_REST(n)) || (!isUp[n] && isDead[0])) && (!isDead[0] || IS_BURIED))

init {
  byte number, id, before, clock, v;
  bool online, isSettling = false;
  atomic {
    isUp[0] = true; isUp[1] = true; inc[1] = 1; hasSession[0] = true;
  }
  do
  /* The world, until it comes to rest. */
  :: atomic { !isSettling -> isSettling = true;
       isEngineUp = true }
  :: atomic { !isSettling && client < NOWHERE && moves < 1 && isUp[1 - client] ->
       moves++; client = 1 - client; hasSession[client] = true } /* the session left behind is in its grace */
  :: atomic { !isSettling && client < NOWHERE -> hasLeft = true; hasSession[client] = false; client = NOWHERE }
  :: atomic { !isSettling && isEngineUp && failovers < FAILOVERS -> copy.part[0] = bucket.part[0]; copy.part[1] = bucket.part[1];
       copy.part[2] = bucket.part[2]; copy.part[3] = bucket.part[3];
       copy.fence[0] = bucket.fence[0]; copy.fence[1] = bucket.fence[1];
       copy.number = bucket.number; copy.last = bucket.last; copy.clock = bucket.clock; copy.v = bucket.v;
       copy.epoch = bucket.epoch }
  :: atomic { !isSettling && failovers < FAILOVERS -> failovers++; now++;
       bucket.part[0] = copy.part[0]; bucket.part[1] = copy.part[1];
       bucket.part[2] = copy.part[2]; bucket.part[3] = copy.part[3];
       bucket.fence[0] = copy.fence[0]; bucket.fence[1] = copy.fence[1];
       bucket.number = copy.number; bucket.last = copy.last; bucket.clock = copy.clock; bucket.v = copy.v;
       bucket.epoch = copy.epoch }
  :: atomic { !isSettling && outages < OUTAGES && isEngineUp -> outages++; isEngineUp = false }
  :: atomic { !isSettling && isEngineUp && otherOperations < OTHER_OPERATIONS -> /* of another user of the bucket */
       otherOperations++; x = bucket.last; shown();
       now++; ids++; bucket.number++; bucket.last = ids; bucket.clock = now;
       publish(0, x); publish(1, x) }
  :: atomic { !isSettling && stops < STOPS && isUp[0] -> i = 0; stops++; isUp[0] = false; mustRenew[0] = true;
       if :: isKilled[0] = true :: true fi;
       if
       :: client == 0 && isUp[1] -> client = 1; hasSession[1] = true
       :: client == 0 -> client = NOWHERE; hasLeft = true
       :: client != 0
       fi;
       if :: observer == 0 -> observer = NOWHERE :: else fi }
  :: atomic { !isSettling && !isUp[0] && !isKilled[0] -> isUp[0] = true; isBehind[0] = true }
  /* The observer is cut and comes back to the other node with the time of its last message. */
  :: atomic { observer < NOWHERE && !isSettling -> observer = NOWHERE }
  :: atomic { observer == NOWHERE && isEngineUp && isUp[1] && !isBehind[1] && !isRecovering[1] && empty(push[1]) && IS_SURE(1) ->
       observer = 1;
       if
       :: seenAt < heardEpoch[1] || seenAt > heardClock[1] ->
            seenOnline = heardOnline[1]; seenV = heardV[1]; seenAt = heardClock[1]
       :: else -> if :: heardV[1] > seenAt -> seenOnline = heardOnline[1]; seenV = heardV[1] :: else fi;
            seenAt = heardClock[1]
       fi }

  /* The nodes. */
  :: atomic { isEngineUp && isUp[0] && nempty(push[0]) -> hear(0) }
  :: atomic { isEngineUp && isUp[1] && nempty(push[1]) -> hear(1) }
  :: atomic { isEngineUp && isUp[0] && empty(push[0]) && !isBehind[0] && !IS_SURE(0) -> isBehind[0] = true } /* by a tick */
  :: atomic { isEngineUp && isUp[1] && empty(push[1]) && !isBehind[1] && !IS_SURE(1) -> isBehind[1] = true }
  :: atomic { isEngineUp && isUp[0] && isBehind[0] && !mustRenew[0] -> catchUp(0) }
  :: atomic { isEngineUp && isUp[1] && isBehind[1] && !mustRenew[1] -> catchUp(1) }
  :: atomic { isEngineUp && isUp[0] && mustRenew[0] -> mustRenew[0] = false; /* a buried node begins anew */
       if :: isDead[inc[0]] -> inc[0] = inc[0] + 2; wrote[0] = false :: else fi }
  :: atomic { isUp[0] && hasSession[0] && client != 0 && (!isEngineUp || client == NOWHERE || IS_WRITTEN(client)) ->
       hasSession[0] = false } /* the end of a grace */
  :: atomic { isUp[1] && hasSession[1] && client != 1 && (!isEngineUp || client == NOWHERE || IS_WRITTEN(client)) ->
       hasSession[1] = false }
#ifdef NO_RENEW
#define MAY_WRITE(node) (!owed[node])
#else
#define MAY_WRITE(node) (!owed[node] && !mustRenew[node] && !isBehind[node])
#endif
  :: atomic { isEngineUp && isUp[0] && MAY_WRITE(0) && hasSession[0] && !wrote[0] && !bucket.fence[inc[0]] ->
       wrote[0] = true; if :: !bucket.part[inc[0]] -> operate(0, inc[0], true) :: else fi }
  :: atomic { isEngineUp && isUp[1] && MAY_WRITE(1) && hasSession[1] && !wrote[1] && !bucket.fence[inc[1]] ->
       wrote[1] = true; if :: !bucket.part[inc[1]] -> operate(1, inc[1], true) :: else fi }
  :: atomic { isEngineUp && isUp[0] && MAY_WRITE(0) && !hasSession[0] && wrote[0] && MAY_REMOVE(0) && !bucket.fence[inc[0]] ->
       wrote[0] = false; if :: bucket.part[inc[0]] -> operate(0, inc[0], false) :: else fi }
  :: atomic { isEngineUp && isUp[1] && MAY_WRITE(1) && !hasSession[1] && wrote[1] && MAY_REMOVE(1) && !bucket.fence[inc[1]] ->
       wrote[1] = false; if :: bucket.part[inc[1]] -> operate(1, inc[1], false) :: else fi }
  /* All nodes have written who is here: what was read is told. */
  :: atomic { isRecovering[0] && isUp[0] && isEngineUp && !isBehind[0] && empty(push[0]) && IS_SURE(0) && MAY_REMOVE(0) && MAY_REMOVE(1) ->
       isRecovering[0] = false; say(0) }
  :: atomic { isRecovering[1] && isUp[1] && isEngineUp && !isBehind[1] && empty(push[1]) && IS_SURE(1) && MAY_REMOVE(0) && MAY_REMOVE(1) ->
       isRecovering[1] = false; say(1) }
  /* The other node buries the silent one, fences it and ends its sessions. */
  :: atomic { isEngineUp && isUp[1] && !isUp[0] && !isDead[inc[0]] -> isDead[inc[0]] = true }
  :: atomic { isEngineUp && isUp[1] && isDead[0] && !bucket.fence[0] -> bucket.fence[0] = true; wasFenced[0] = true }
  :: atomic { isEngineUp && isUp[1] && isDead[0] && bucket.fence[0] && bucket.part[0] && !isBehind[1] && !owed[1] && (!hasSession[1] || IS_WRITTEN(1)) && MAY_REMOVE(1) ->
       operate(1, 0, false) }

  /* At rest, everything is as it should be. */
  :: atomic { isSettling && observer < NOWHERE && HAS_RESTED(0) && IS_AT_REST(1) ->
       shown();
       assert(isShown == (client != NOWHERE));
       assert(seenOnline == isShown);
       break }
  od
}
