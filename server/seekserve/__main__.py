from seekserve.cli import main

if __name__ == "__main__":
    main()
