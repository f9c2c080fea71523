"""How many primes are there? Each element is a range of numbers, and a task of its own."""


def get_foreach_args(limit, pieces):
    """Divide the numbers below the limit into pieces. Arguments of the manifest arrive as text."""
    size = int(limit) // int(pieces)
    return {"elements": [[piece * size, (piece + 1) * size] for piece in range(int(pieces))], "extra_args": []}


def foreach(element):
    """Count the primes of one piece. What it returns is kept for gather."""
    first, end = element
    return {"from": first, "primes": sum(is_prime(number) for number in range(first, end))}


def gather(results):
    """Put together what the tasks have returned, in the order of the elements."""
    with open("primes.csv", "w") as table:
        table.write("from,primes\n")
        table.writelines("{from},{primes}\n".format(**result) for result in results)
    print(sum(result["primes"] for result in results))


def is_prime(number):
    """Say whether a number is a prime."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
