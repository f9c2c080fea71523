# Fails the first time, as a server that is too busy would. SPARKLES_ATTEMPT counts the tries.
if [ "$SPARKLES_ATTEMPT" -lt 2 ]; then
    echo "the server is busy"
    exit 1
fi
echo "attempt $SPARKLES_ATTEMPT: done"
